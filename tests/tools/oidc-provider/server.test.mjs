// The provider must be as real as the tests take it for: what it signs verifies against what it publishes, by code that is not its own.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createPublicKey, verify } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const SERVER = fileURLToPath(new URL('server.mjs', import.meta.url));

let child;
let ready;

function launch() {
  const started = spawn(process.execPath, [SERVER], { stdio: ['pipe', 'pipe', 'ignore'] });
  return [started, once(createInterface(started.stdout), 'line').then(([line]) => JSON.parse(line))];
}

async function control(path, body) {
  const response = await fetch(`${ready.control}/${path}`, body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) });
  const answer = await response.json();
  assert.equal(response.status, 200, JSON.stringify(answer));
  return answer;
}

async function published() {
  const discovery = await (await fetch(`${ready.issuer}/.well-known/openid-configuration`)).json();
  assert.equal(discovery.issuer, ready.issuer);
  return (await (await fetch(discovery.jwks_uri)).json()).keys;
}

// Deliberately not a JWT library: the bare signature of RFC 7515 over the published key.
function verifies(token, keys) {
  const [header, payload, signature] = token.split('.');
  const { alg, kid } = JSON.parse(Buffer.from(header, 'base64url').toString());
  const key = keys.find((one) => one.kid === kid);
  if (!key) return false;
  assert.equal(key.alg, alg);
  const options = {
    RS256: ['sha256', {}],
    PS256: ['sha256', { padding: 6, saltLength: 32 }],
    ES256: ['sha256', { dsaEncoding: 'ieee-p1363' }],
    ES384: ['sha384', { dsaEncoding: 'ieee-p1363' }],
    EdDSA: [null, {}],
  }[alg];
  return verify(options[0], Buffer.from(`${header}.${payload}`), { key: createPublicKey({ key, format: 'jwk' }), ...options[1] }, Buffer.from(signature, 'base64url'));
}

const headerOf = (token) => JSON.parse(Buffer.from(token.split('.')[0], 'base64url').toString());

before(async () => {
  let line;
  [child, line] = launch();
  ready = await line;
});

after(() => child.kill());

for (const alg of ['RS256', 'ES256', 'PS256', 'ES384', 'EdDSA']) {
  test(`an access token by client_credentials, ${alg}`, async () => {
    const { token, claims } = await control('token', { kind: 'access', alg, subject: 'service-1', expires_in: 77 });
    assert.deepEqual({ typ: headerOf(token).typ, alg: headerOf(token).alg }, { typ: 'at+jwt', alg });
    assert.equal(claims.sub, 'service-1');
    assert.equal(claims.client_id, 'service-1');
    assert.equal(claims.aud, ready.audience);
    assert.equal(claims.iss, ready.issuer);
    assert.equal(claims.exp - claims.iat, 77);
    assert.ok(claims.jti);
    assert.ok(verifies(token, await published()));
  });

  test(`an ID token by code and PKCE, ${alg}`, async () => {
    const { token, claims } = await control('token', { kind: 'id', alg, subject: 'alice', nonce: 'n-1', expires_in: 55 });
    assert.equal(headerOf(token).alg, alg);
    assert.notEqual(headerOf(token).typ, 'at+jwt');
    assert.equal(claims.sub, 'alice');
    assert.equal(claims.aud, ready.clients[alg]);
    assert.equal(claims.nonce, 'n-1');
    assert.equal(claims.exp - claims.iat, 55);
    assert.ok(verifies(token, await published()));
  });
}

test("a person's access token by code and PKCE", async () => {
  const { token, claims } = await control('token', { kind: 'user-access', subject: 'alice', audience: 'https://other.test' });
  assert.equal(headerOf(token).typ, 'at+jwt');
  assert.deepEqual([claims.sub, claims.client_id, claims.aud], ['alice', ready.clients.RS256, 'https://other.test']);
  assert.ok(verifies(token, await published()));
});

test('two sign-ins at once do not mix their users', async () => {
  const subjects = ['ann', 'ben', 'cid', 'dot'];
  const tokens = await Promise.all(subjects.map((subject) => control('token', { kind: 'id', subject })));
  assert.deepEqual(tokens.map(({ claims }) => claims.sub), subjects);
});

test('rotation: the new key signs, the old one stays published until it is retired', async () => {
  const old = await control('token', { kind: 'id' });
  const { kid, previous } = await control('rotate', { alg: 'RS256' });
  assert.equal(previous, old.kid);
  for (const kind of ['access', 'user-access', 'id']) {
    const fresh = await control('token', { kind });
    assert.equal(fresh.kid, kid, kind);
    assert.ok(verifies(fresh.token, await published()));
  }
  assert.ok(verifies(old.token, await published()));

  await control('retire', { kid: previous });
  assert.equal(verifies(old.token, await published()), false);
  const only = await fetch(`${ready.control}/retire`, { method: 'POST', body: JSON.stringify({ kid }) });
  assert.equal(only.status, 400);
});

test('a key can be published before it signs', async () => {
  const before = await control('token', { kind: 'access', alg: 'ES256' });
  const { kid } = await control('publish', { alg: 'ES256' });
  assert.ok((await published()).some((key) => key.kid === kid));
  assert.equal((await control('token', { kind: 'access', alg: 'ES256' })).kid, before.kid);
});

test('the published keys are public halves alone', async () => {
  for (const key of await published()) {
    for (const secret of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k']) assert.equal(key[secret], undefined);
  }
});

test('broken in each way, and restored, while tokens are still to be had', async () => {
  const { issuer } = ready;
  await control('break', { mode: 'error' });
  assert.equal((await fetch(`${issuer}/jwks`)).status, 500);
  await control('break', { mode: 'close' });
  await assert.rejects(fetch(`${issuer}/jwks`));
  await control('break', { mode: 'garbage' });
  await assert.rejects((await fetch(`${issuer}/jwks`)).json());
  await control('break', { mode: 'hang' });
  await assert.rejects(fetch(`${issuer}/jwks`, { signal: AbortSignal.timeout(100) }), { name: 'TimeoutError' });
  await control('break', { path: '/jwks' });
  assert.equal((await fetch(`${issuer}/jwks`)).status, 500);
  assert.equal((await fetch(`${issuer}/.well-known/openid-configuration`)).status, 200);
  const { token } = await control('token', { kind: 'id' });
  await control('restore', {});
  assert.ok(verifies(token, await published()));
});

test("asks are counted by path, the control's own are not", async () => {
  const earlier = await control('requests');
  await fetch(`${ready.issuer}/jwks`);
  await control('token', { kind: 'id' });
  const later = await control('requests');
  assert.equal(later['/jwks'], (earlier['/jwks'] ?? 0) + 1);
  assert.equal(later['/token'], undefined);
});

test('what it does not know it refuses', async () => {
  for (const [path, body] of [['token', '{"kind":"saml"}'], ['token', '{"alg":"HS256"}'], ['token', '{'], ['token', '{"subject":""}'], ['retire', '{"kid":"none"}'], ['break', '{"mode":"x"}'], ['nothing', '{}']]) {
    const response = await fetch(`${ready.control}/${path}`, { method: 'POST', body });
    assert.equal(response.status, 400, `${path} ${body}`);
    assert.ok((await response.json()).error);
  }
});

test('it ends when its standard input closes', async () => {
  const [second, line] = launch();
  const serving = await line;
  assert.notEqual(serving.issuer, ready.issuer);
  second.stdin.end();
  const [code] = await once(second, 'exit');
  assert.equal(code, 0);
});
