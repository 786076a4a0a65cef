// The demo portal in a browser: what each of the made-up users sees, does and is refused.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before } from 'node:test';

import { Dev, Person, heading, isAccessible, launch, picture, scenario, shows } from './support.mjs';

let browser;
let dev;

before(async () => {
  browser = await launch();
  if (browser) dev = await Dev.start();
});

after(async () => {
  await browser?.close();
  await dev?.stop();
});

const person = (act, options = {}) => Person.does(browser, dev, options, act);

/** The facts of a page, by name. */
const facts = (page) =>
  page.locator('dl').first().evaluate((list) => Object.fromEntries(Array.from(list.querySelectorAll('dt'), (term) => [term.textContent, term.nextElementSibling.textContent])));

scenario('two clicks from the first page to Studio', () =>
  person(async (alice) => {
    await alice.signIn('Alice Ahrens');
    const studio = await alice.open('Open research');
    assert.equal(alice.clicks, 2);
    assert.equal(await heading(studio), 'Studio is open as alice');
    const { Session, Region, Landing, 'Source identity': who } = await facts(studio);
    assert.match(Session, /^8 hours, until /);
    assert.deepEqual([Region, Landing, who], ['eu-central-1', 'Studio’s own start page', 'local.demo-alice']);
    await picture(studio, 'studio');
  }),
);

scenario('a link is counted down, and its end is told', () =>
  person(async (dave) => {
    // One that is good for as long as it may take to see it counted down, and one whose end can be waited for.
    const grant = (target, seconds) => dev.run('grants', 'put', '--issuer', 'local', '--subject', 'demo-dave', '--target', target, '--kind', 'studio', '--domain-id', 'd-demoresearch', '--user-profile-name', 'erin', '--shared', '--url-seconds', String(seconds));
    await grant('lab', 30);
    await grant('brief', 5);
    await dave.signIn('Dave Decker');
    await dave.open('Open lab');
    await shows(dave.card('lab').getByRole('timer'), /^Opened in a new tab\. The link is good for ([1-9]|[12]\d) seconds? more\.$/);
    // Told once, and not at every second.
    const status = dave.page.getByRole('status');
    await shows(status, /^lab has opened in a new tab\. The link is good for \d+ seconds?\.$/);
    await dave.open('Open brief');
    const opening = dave.card('brief').getByRole('timer');
    await shows(opening, /^The last link is no longer good\./);
    await shows(status, /^The link to brief is no longer good\.$/);
    await dave.page.reload();
    await shows(opening, /^The last link is no longer good\./);
    for (const target of ['lab', 'brief']) await dev.run('grants', 'delete', '--issuer', 'local', '--subject', 'demo-dave', '--target', target);
  }),
);

/** Has the portal make a link, as a click does, and keeps it. */
async function link(one, target) {
  const form = one.page.locator('form.open').filter({ has: one.page.locator(`input[value=${target}]`) });
  const form_token = await form.locator('[name=form_token]').getAttribute('value');
  const origin = new URL(dev.portal).origin;
  const answer = await one.context.request.post(`${origin}/open`, { form: { form_token, target }, headers: { origin }, maxRedirects: 0 });
  return { status: answer.status(), headers: answer.headers() };
}

scenario('a link opens once, and only in its time', () =>
  person(async (grace) => {
    await dev.run('grants', 'put', '--issuer', 'local', '--subject', 'demo-grace', '--target', 'short', '--kind', 'studio', '--domain-id', 'd-demoresearch', '--user-profile-name', 'alice', '--shared', '--url-seconds', '5');
    await grace.signIn('Grace Gallagher');
    const { status, headers } = await link(grace, 'short');
    assert.equal(status, 303);
    assert.equal(headers['cache-control'], 'no-store');
    assert.equal(headers['referrer-policy'], 'no-referrer');
    const studio = await grace.open('Open dublin');
    grace.refusals += 2;
    await studio.reload();
    assert.equal(await heading(studio), 'This link was already opened');
    await new Promise((later) => setTimeout(later, 5100));
    await studio.goto(headers.location);
    assert.equal(await heading(studio), 'This link has expired');
    await dev.run('grants', 'delete', '--issuer', 'local', '--subject', 'demo-grace', '--target', 'short');
  }),
);

scenario('a double click makes one link', () =>
  person(async (alice) => {
    await alice.signIn('Alice Ahrens');
    // Both in one task, so that a busy machine does not make two clicks of them.
    await alice.page.getByRole('button', { name: 'Open research' }).evaluate((button) => { button.click(); button.click(); });
    await shows(alice.card('research').getByRole('timer'), /^Opened/);
    const openings = await alice.page.evaluate(async () => (await fetch('/openings')).json());
    assert.deepEqual(openings.openings.map(({ target, number }) => [target, number]), [['research', 1]]);
    assert.equal(alice.context.pages().length, 2);
  }),
);

scenario('bob has two targets, and chooses where to land', () =>
  person(async (bob) => {
    await bob.signIn('Bob Baumann');
    assert.equal(await bob.page.getByRole('listitem').count(), 2);
    await bob.card('research').getByText('your default').waitFor();
    let studio = await bob.open('Open research');
    assert.deepEqual([(await facts(studio)).Landing, (await facts(studio)).Space], ['app:JupyterLab:lab', 'team-notebooks']);
    await bob.page.getByRole('combobox', { name: 'Start in' }).selectOption('canvas');
    studio = await bob.open('Open research');
    assert.equal((await facts(studio)).Landing, 'app:Canvas:');
    studio = await bob.open('Open risk');
    assert.match((await facts(studio)).Session, /^1 hour, /);
    await shows(bob.card('risk').getByRole('timer'), /good for 1?\d seconds? more/);
  }),
);

scenario('frank has a door of each kind', () =>
  person(async (frank) => {
    await frank.signIn('Frank Fischer');
    for (const [target, kind, title] of [
      ['studio', 'SageMaker Studio', /^Studio is open as frank$/],
      ['notebook', 'Notebook instance', /research-frank/],
      ['mlflow-server', 'MLflow tracking server', /experiments/],
      ['mlflow-app', 'MLflow app', /open/],
      ['partner-app', 'Partner AI app', /open/],
    ]) {
      await frank.page.getByText(`${kind} in eu-central-1`, { exact: true }).waitFor();
      const opened = await frank.open(`Open ${target}`);
      assert.match(await heading(opened), title, target);
    }
  }),
);

scenario('grace works in another account and region', () =>
  person(async (grace) => {
    await grace.signIn('Grace Gallagher');
    for (const target of ['dublin', 'notebook']) {
      const opened = await grace.open(`Open ${target}`);
      const { Region, Account } = await facts(opened);
      assert.deepEqual([Region, Account], ['eu-west-1', '444455556666'], target);
    }
  }),
);

scenario('carol is suspended, and told so from the start', () =>
  person(async (carol) => {
    carol.refusals += 1;
    await carol.signIn('Carol Conrad');
    assert.equal(await heading(carol.page), 'Nothing is open to you now');
    const { Code, 'Request id': id } = await facts(carol.page);
    assert.equal(Code, 'not-entitled');
    const why = carol.page.getByRole('region', { name: 'For developers: why' });
    await why.getByText('subject.suspended').first().waitFor();
    await why.getByText('FAILED').waitFor();
    assert.ok((await why.textContent()).includes(id), 'the record is of this request');
    await picture(carol.page, 'refusal');
  }),
);

scenario('kate, leo, mia and nick have what their groups have, each their own of it', async () => {
  const listed = (who) => who.page.getByRole('listitem').count();
  await person(async (kate) => {
    await kate.signIn('Kate Keller');
    assert.equal(await listed(kate), 2);
    assert.match(await heading(await kate.open('Open research')), /^Studio is open as kate$/);
    assert.match(await heading(await kate.open('Open runs')), /experiments/);
  });
  // A row of his own keeps him out of what the group may open.
  await person(async (leo) => {
    await leo.signIn('Leo Lorenz');
    await leo.card('research').getByText('Closed to you now').waitFor();
    const refused = await leo.isRefused('See the refusal of research');
    await refused.getByText('grant.disabled').first().waitFor();
    assert.match(await heading(await leo.open('Open runs')), /experiments/);
  });
  // Her groups differ over one, and he has no profile for the other: neither is offered.
  await person(async (mia) => {
    await mia.signIn('Mia Moser');
    assert.equal(await listed(mia), 1);
    assert.match(await heading(await mia.open('Open research')), /^Studio is open as mia$/);
  });
  await person(async (nick) => {
    await nick.signIn('Nick Neumann');
    assert.equal(await listed(nick), 1);
    assert.match(await heading(await nick.open('Open runs')), /experiments/);
  });
});

scenario('dave and erin have nothing that is open, and see why', async () => {
  await person(async (dave) => {
    await dave.signIn('Dave Decker');
    await dave.page.getByText('Nothing is open to you.').waitFor();
    const refused = await dave.isRefused('See the refusal');
    assert.equal(await heading(refused), 'You may not open this');
    await refused.getByText('grant.none').first().waitFor();
    await refused.getByRole('link', { name: 'Back to your targets' }).click();
    await refused.waitForURL(dev.portal);
  });
  await person(async (erin) => {
    await erin.signIn('Erin Ebert');
    await erin.card('research').getByText('Closed to you now').waitFor();
    const refused = await erin.isRefused('See the refusal of research');
    await refused.getByText('grant.expired').first().waitFor();
    await shows(erin.card('research').getByRole('timer'), /^Refused\. The other tab says/);
  });
});

scenario('heidi’s notebook is not ready, judy’s profile is somebody else’s', async () => {
  await person(async (heidi) => {
    await heidi.signIn('Heidi Hartmann');
    const refused = await heidi.isRefused('Open stopped');
    assert.equal(await heading(refused), 'This is not ready');
    const { State, Code } = await facts(refused);
    assert.deepEqual([State, Code], ['Stopped', 'target-not-ready']);
    assert.match(await heading(await heidi.open('Open unsafe')), /research-heidi-unsafe/);
  });
  await person(async (judy) => {
    await judy.signIn('Judy Jansen');
    const refused = await judy.isRefused('Open research');
    await refused.getByText('provision.foreign-profile').first().waitFor();
  });
});

scenario('ivan’s profile is made when he comes first, and opens when it is made', () =>
  person(async (ivan) => {
    await ivan.signIn('Ivan Iversen');
    const refused = await ivan.isRefused('Open research');
    const { 'Try again': again } = await facts(refused);
    const [, seconds] = /^in (\d+) seconds?$/.exec(again);
    await new Promise((later) => setTimeout(later, 1000 * Number(seconds)));
    assert.equal(await heading(await ivan.open('Open research')), 'Studio is open as ivan');
  }),
);

scenario('too many clicks are told when to go on', () =>
  person(async (frank) => {
    await frank.signIn('Frank Fischer');
    // The limit counts in windows of a minute. One that is about to end would end before the click that is to be refused.
    for (;;) {
      const { status, headers } = await link(frank, 'studio');
      if (status === 303) continue;
      assert.equal(status, 429);
      if (Number(headers['retry-after']) > 5) break;
      await new Promise((later) => setTimeout(later, 1000 * Number(headers['retry-after'])));
    }
    const refused = await frank.isRefused('Open studio');
    assert.equal(await heading(refused), 'Too many links in a short time');
    assert.match((await facts(refused))['Try again'], /^in \d+ seconds?$/);
  }),
);

scenario('the keyboard is enough', () =>
  person(async (alice) => {
    await alice.page.goto(dev.portal);
    /** Goes on until the button of that name has the focus, which has to be seen all the way. */
    const tab = async (name) => {
      for (let steps = 0; steps < 20; steps += 1) {
        await alice.page.keyboard.press('Tab');
        const focus = await alice.page.evaluate(() => {
          const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
          return { text: document.activeElement.textContent, outlineStyle, outlineWidth };
        });
        assert.deepEqual([focus.outlineStyle, focus.outlineWidth], ['solid', '3px'], focus.text);
        if (focus.text.startsWith(name)) return;
      }
      assert.fail(`${name} is not reached`);
    };
    await tab('Alice Ahrens');
    await alice.page.keyboard.press('Enter');
    await alice.page.waitForURL(dev.portal);
    await tab('Open research');
    const opened = alice.context.waitForEvent('page');
    await alice.page.keyboard.press('Enter');
    const studio = await opened;
    await studio.waitForLoadState();
    assert.equal(await heading(studio), 'Studio is open as alice');
    assert.equal(alice.clicks, 0);
  }),
);

for (const colorScheme of ['light', 'dark']) {
  scenario(`every page is accessible, ${colorScheme}`, () =>
    person(
      async (bob) => {
        await bob.page.goto(dev.portal);
        await isAccessible(bob.page, 'the issuer’s page');
        await bob.page.getByRole('button', { name: 'Bob Baumann' }).click();
        await bob.page.waitForURL(dev.portal);
        const studio = await bob.open('Open risk');
        await shows(bob.card('risk').getByRole('timer'), /^Opened/);
        await isAccessible(bob.page, 'the targets');
        await picture(bob.page, `portal-${colorScheme}`);
        await isAccessible(studio, 'Studio');
        bob.refusals += 2;
        await studio.reload();
        await isAccessible(studio, 'a link that was used');
        await bob.page.goto(`${dev.portal}callback`);
        await isAccessible(bob.page, 'a sign-in that is none');
        await bob.page.goto(dev.portal);
        await bob.page.getByRole('button', { name: 'Sign out' }).click();
        assert.equal(await heading(bob.page), 'You have signed out');
        await isAccessible(bob.page, 'signed out');

        await bob.page.getByRole('link', { name: 'Sign in' }).click();
        await bob.page.getByRole('button', { name: 'Erin Ebert' }).click();
        await isAccessible(bob.page, 'a target that is closed');
        await isAccessible(await bob.isRefused('See the refusal of research'), 'a refusal');
      },
      { colorScheme },
    ),
  );
}

scenario('a narrow screen shows all of it', () =>
  person(
    async (frank) => {
      await frank.page.goto(dev.portal);
      await frank.page.getByRole('button', { name: 'Frank Fischer' }).click();
      await frank.page.getByRole('button', { name: 'Open partner-app' }).waitFor();
      const [scrollWidth, clientWidth] = await frank.page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
      assert.ok(scrollWidth <= clientWidth, `${scrollWidth} of ${clientWidth}`);
    },
    { viewport: { width: 320, height: 640 } },
  ),
);

scenario('it works without the script', () =>
  person(
    async (grace) => {
      await grace.signIn('Grace Gallagher');
      const studio = await grace.open('Open dublin');
      assert.equal(await heading(studio), 'Studio is open as grace');
      await grace.page.reload();
      await shows(grace.card('dublin').getByRole('timer'), /^The last link was made at \d\d:\d\d:\d\d UTC\. It was good until \d\d:\d\d:\d\d UTC\.$/);
      await grace.page.getByRole('button', { name: 'Sign out' }).click();
      assert.equal(await heading(grace.page), 'You have signed out');
    },
    { javaScriptEnabled: false },
  ),
);

scenario('the page holds no token and no link, and the new tab cannot reach back', () =>
  person(async (alice) => {
    const addresses = [];
    alice.context.on('request', (request) => addresses.push(request.url()));
    await alice.signIn('Alice Ahrens');
    const studio = await alice.open('Open research');
    await shows(alice.card('research').getByRole('timer'), /^Opened/);
    const secret = new URL(studio.url()).searchParams.get('token');
    assert.ok(secret.length > 20);
    const content = await alice.page.content();
    assert.ok(!content.includes(secret) && !content.includes('eyJ'));
    const { kept, cookie } = await alice.page.evaluate(() => ({ kept: localStorage.length + sessionStorage.length, cookie: document.cookie }));
    assert.deepEqual([kept, cookie], [0, '']);
    for (const { name, httpOnly, sameSite, path } of await alice.context.cookies(dev.portal)) {
      assert.deepEqual([httpOnly, sameSite, path], [true, 'Lax', '/'], name);
    }
    // The address that the issuer sends to is not where the person ends up, and Studio does not learn where they come from.
    assert.equal(alice.page.url(), dev.portal);
    assert.deepEqual(await studio.evaluate(() => [globalThis.opener, document.referrer]), [null, '']);
    assert.ok(addresses.filter((address) => address.includes(secret)).length === 1, 'the link was asked for once');
    // Nor is any of it written down by the service.
    assert.ok(!dev.written.some((line) => line.includes(secret) || line.includes('eyJ')));
  }),
);

scenario('another site can neither click for the user nor frame the page', () =>
  person(async (alice) => {
    await alice.signIn('Alice Ahrens');
    // The worst case: it has even got hold of what the form brings along.
    const form_token = await alice.page.locator('form.open [name=form_token]').getAttribute('value');
    const attack = `<!doctype html><title>evil</title><iframe src="${dev.portal}signed-out"></iframe>
      <form method="post" action="${dev.portal}open"><input name="form_token" value="${form_token}"><button>Win</button></form>`;
    const server = createServer((_, response) => response.setHeader('content-type', 'text/html').end(attack)).listen(0, '127.0.0.1');
    try {
      await once(server, 'listening');
      const other = await alice.context.newPage();
      const framed = alice.context.waitForEvent('requestfailed', (request) => request.url() === `${dev.portal}signed-out`);
      const told = alice.context.waitForEvent('console', (message) => /frame-ancestors/.test(message.text()));
      await other.goto(`http://evil.localhost:${server.address().port}/`);
      assert.equal((await framed).failure().errorText, 'net::ERR_BLOCKED_BY_RESPONSE');
      // What it keeps out of the frame, the browser complains about.
      await told;
      alice.complaints = alice.complaints.filter((complaint) => !/ERR_BLOCKED_BY_RESPONSE|frame-ancestors/.test(complaint));
      alice.refusals += 1;
      await other.getByRole('button', { name: 'Win' }).click();
      await other.waitForURL(`${dev.portal}open`);
      assert.equal(await heading(other), 'This form was not sent by the portal');
      await alice.page.reload();
      assert.equal(await alice.card('research').getByRole('timer').isVisible(), false, 'nothing was opened');
    } finally {
      server.close();
    }
  }),
);
