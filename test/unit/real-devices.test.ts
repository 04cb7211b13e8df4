/** docs/real-devices.md has a section for each model of a real device, with a row for every option of its `--card`. */
import { expect, it } from 'vitest';
import { BUILT_IN_CARDS } from '../../emulator/cards/built-in';
import { read } from '../support/documents';

const devices = Object.entries(BUILT_IN_CARDS).filter(([name]) => name !== 'reference');

it.each(devices)('the section of %s has all of its options', (name, { options }) => {
  const [, section = ''] = read('docs/real-devices.md').split(new RegExp(`^## ${name}$`, 'm'));
  const [own = ''] = section.split(/^## /m);
  const cells = own.split('\n').flatMap((line) => /^\| (`[^|]*) \|/.exec(line)?.[1] ?? []);
  const named = cells.flatMap((cell) => [...cell.matchAll(/`(\w+)[\w.*]*`/g)].map(([, option]) => option));
  expect(named).toEqual(expect.arrayContaining(Object.keys(options)));
});
