import { expect, it } from 'vitest';
import { GuestRequestError } from '../channel';
import { explainFolder } from './host-folders';

const missing = (folder: string) => new GuestRequestError(`exec: cannot change to folder ${folder} (ENOENT)`, 'ENOENT');

it('explains a missing folder for which the guest has its own', () => {
  const { message, code } = explainFolder(missing('/run/x'), '/run/x') as GuestRequestError;
  expect(message).toBe(
    'exec: cannot change to folder /run/x (ENOENT): the guest has its own /run, /proc, /sys and /dev. ' +
      'Work in another folder, or share this one with the guest (ghostcard run --rw .)',
  );
  expect(code).toBe('ENOENT');
});

it.each([
  ['a folder that is missing for another reason', missing('/running'), '/running'],
  ['another failure there', new GuestRequestError('x: cannot be run (ENOENT)', 'ENOENT'), '/run'],
  ['the error of a command without a folder', missing('/run'), undefined],
  ['an error that is not from the agent', new Error('gone'), '/run'],
])('leaves %s unchanged', (_, error, cwd) => {
  expect(explainFolder(error, cwd)).toBe(error);
});
