// Counts down how long the last link of each target is good. Everything else works without it.

const status = document.getElementById('status');
const cards = new Map(Array.from(document.querySelectorAll('[data-target]'), (card) => [card.dataset.target, card]));

/** How often the portal is asked what came of a click, in milliseconds, and how many times. */
const ASK_EVERY = 250;
const ASK_TIMES = 130;

/** Clicks closer to each other than this are one: a double click is to make one link. */
const ONE_CLICK = 1000;

const seconds = (count) => `${count} ${count === 1 ? 'second' : 'seconds'}`;

/** Shows one opening on its card. `left` is in milliseconds; null is a refusal. */
function show(card, number, left, isNews) {
  const place = card.querySelector('.opening');
  const name = card.dataset.target;
  place.dataset.number = number;
  place.hidden = false;
  clearInterval(place.countdown);
  if (left === null) {
    place.textContent = 'Refused. The other tab says what you can do.';
    if (isNews) status.textContent = `${name} was refused. The other tab says what you can do.`;
    return;
  }
  // By the time that passes and not by the clock on the wall, which may be another than the portal's.
  const end = performance.now() + left;
  const tick = () => {
    const rest = Math.ceil((end - performance.now()) / 1000);
    if (rest > 0) {
      place.textContent = `Opened in a new tab. The link is good for ${seconds(rest)} more.`;
      return;
    }
    clearInterval(place.countdown);
    place.textContent = 'The last link is no longer good. What it has opened stays open; a click makes a new one.';
    if (isNews) status.textContent = `The link to ${name} is no longer good.`;
  };
  if (isNews) status.textContent = `${name} has opened in a new tab. The link is good for ${seconds(Math.ceil(left / 1000))}.`;
  tick();
  place.countdown = setInterval(tick, 250);
}

/** Asks until the portal knows more of that target than the card shows. */
async function follow(card) {
  const known = Number(card.querySelector('.opening').dataset.number);
  for (let times = 0; times < ASK_TIMES; times += 1) {
    await new Promise((resolve) => setTimeout(resolve, ASK_EVERY));
    try {
      const answer = await fetch('/openings', { headers: { accept: 'application/json' } });
      // The session is over: the tab that was opened says so.
      if (!answer.ok) return;
      const { openings } = await answer.json();
      const opening = openings.find((one) => one.target === card.dataset.target && one.number > known);
      if (opening) {
        show(card, opening.number, opening.left, true);
        return;
      }
    } catch {
      return; // The portal has stopped. There is nothing to count down.
    }
  }
}

for (const card of cards.values()) {
  const { number, left } = card.querySelector('.opening').dataset;
  if (left !== undefined) show(card, Number(number), Number(left), false);
  const form = card.querySelector('form.open');
  let last = -Infinity;
  // Whoever has chosen another landing means a click of its own.
  form.addEventListener('change', () => {
    last = -Infinity;
  });
  form.addEventListener('submit', (event) => {
    if (event.timeStamp - last < ONE_CLICK) {
      event.preventDefault();
      return;
    }
    last = event.timeStamp;
    follow(card);
  });
}
