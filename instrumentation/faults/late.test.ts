import { expect, it } from 'vitest';
import { ManualClock, Process, type Wait } from '../../emulator/clock';
import { Late } from './late';

it('has whoever waits for a late access go on in the very call that ends it', () => {
  const late = new Late();
  const log: string[] = [];
  const body = function* (): Generator<Wait, void, void> {
    yield late;
    log.push('goes on');
  };
  new Process(new ManualClock()).start(body());
  late.become(() => undefined);
  log.push('after');
  expect(log).toEqual(['goes on', 'after']);
});

it('can be awaited, before it ends and afterwards', async () => {
  const late = new Late();
  const waiting = (async () => await late)();
  late.become(() => Promise.resolve());
  await expect(waiting).resolves.toBeUndefined();
  await expect(late).resolves.toBeUndefined();
});

it('fails with the access that was put off, and tells nobody who does not wait', async () => {
  const unattended = new Late();
  unattended.fail(new Error('nobody'));
  const late = new Late();
  late.become(() => {
    throw new Error('refused');
  });
  await expect(late).rejects.toThrow('refused');
  const rejected = new Late();
  rejected.become(() => Promise.reject(new Error('by message')));
  await expect(rejected.then(() => 'done')).rejects.toThrow('by message');
});
