// The pictures in the documents are those that the tests take, and no others.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { IMAGES, MAX_PICTURE_BYTES, PICTURES, VIEWPORT } from './support.mjs';

test('the pictures are the tests’ own, of one size, and small', () => {
  assert.deepEqual(readdirSync(IMAGES).sort(), PICTURES.map((name) => `${name}.png`).sort());
  for (const name of PICTURES) {
    const file = readFileSync(join(IMAGES, `${name}.png`));
    // A PNG begins with its signature and the header chunk, which has the two measures (PNG, section 11.2.1).
    assert.equal(file.toString('latin1', 1, 4), 'PNG', name);
    assert.deepEqual({ width: file.readUInt32BE(16), height: file.readUInt32BE(20) }, VIEWPORT, name);
    assert.ok(file.length < MAX_PICTURE_BYTES, `${name}: ${file.length} bytes`);
  }
});
