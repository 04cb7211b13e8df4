import { expect, it } from 'vitest';
import { GuestRequestError } from '../channel';
import { explainFolder } from './host-folders';

const missing = (folder: string) => new GuestRequestError(`exec: cannot change to folder ${folder} (ENOENT)`, 'ENOENT');

it('tells of a folder of the host that the guest has its own in place of', () => {
  const { message, code } = explainFolder(missing('/run/x'), '/run/x') as GuestRequestError;
  expect(message).toBe(
    'exec: cannot change to folder /run/x (ENOENT): the guest has a /run, /proc, /sys and /dev of its own. ' +
      'Work in another folder, or share this one with the guest (ghostcard run --rw .)',
  );
  expect(code).toBe('ENOENT');
});

it.each([
  ['folders that are missing for other reasons', missing('/running'), '/running'],
  ['other failures there', new GuestRequestError('x: cannot be run (ENOENT)', 'ENOENT'), '/run'],
  ['commands that have no folder', missing('/run'), undefined],
  ['what is no answer of the agent', new Error('gone'), '/run'],
])('leaves %s as they are', (_, error, cwd) => {
  expect(explainFolder(error, cwd)).toBe(error);
});
