import { describe, expect, it } from 'vitest';
import { ManualClock, Process, type Wait } from '../clock';
import { Completion, PendingCompletion } from './completion';

/** Starts a process that waits for it, and logs what happens. */
function waiter(completion: Completion, log: string[]) {
  const body = function* (): Generator<Wait, void, void> {
    try {
      yield completion;
      log.push('goes on');
    } catch (error) {
      log.push((error as Error).message);
    }
  };
  new Process(new ManualClock()).start(body());
  return log;
}

describe('a completion', () => {
  it('that is pending resumes whoever waits in the very call that settles it', () => {
    const completion = new PendingCompletion();
    const log = waiter(completion, []);
    expect(completion.isDone).toBe(false);
    completion.endWith(() => Completion.DONE);
    log.push('after');
    expect(log).toEqual(['goes on', 'after']);
    expect(completion.isDone).toBe(true);
  });

  it('that is done resumes whoever waits at once', () => {
    const finished = new PendingCompletion();
    finished.finish();
    for (const completion of [Completion.DONE, finished]) {
      const log = waiter(completion, []);
      log.push('after');
      expect(log).toEqual(['goes on', 'after']);
    }
  });

  it('that has failed throws its error to whoever waits, before and afterwards', () => {
    const completion = new PendingCompletion();
    const log = waiter(completion, []);
    completion.fail(new Error('refused'));
    completion.finish(); // it has been settled
    expect(waiter(completion, log)).toEqual(['refused', 'refused']);
    expect(completion.isDone).toBe(false);
  });

  it('runs what follows in the call that settles it, and ends with that', () => {
    const [first, second] = [new PendingCompletion(), new PendingCompletion()];
    const log: string[] = [];
    const both = first.andThen(() => (log.push('first is done'), second));
    waiter(both, log);
    first.finish();
    expect(log).toEqual(['first is done']);
    second.finish();
    expect(log).toEqual(['first is done', 'goes on']);
    expect(Completion.DONE.andThen(() => {}).isDone).toBe(true);
  });

  it('skips what follows after a failure', () => {
    const completion = new PendingCompletion();
    const log = waiter(
      completion.andThen(() => expect.unreachable()),
      [],
    );
    completion.fail(new Error('refused'));
    expect(log).toEqual(['refused']);
  });

  it('can be awaited, before it ends and afterwards', async () => {
    const completion = new PendingCompletion();
    const waiting = (async () => await completion.promise())();
    completion.endWith(() => PendingCompletion.of(Promise.resolve()));
    await expect(waiting).resolves.toBeUndefined();
    await expect(completion.promise()).resolves.toBeUndefined();
    await expect(Completion.DONE.promise()).resolves.toBeUndefined();
  });

  it('fails with the access that was delayed, and is no uncaught error when nobody waits', async () => {
    const unattended = new PendingCompletion();
    unattended.fail(new Error('nobody'));
    const late = new PendingCompletion();
    late.endWith(() => {
      throw new Error('refused');
    });
    await expect(late.promise()).rejects.toThrow('refused');
    const rejected = new PendingCompletion();
    rejected.endWith(() => PendingCompletion.of(Promise.reject(new Error('by message'))));
    await expect(rejected.promise().then(() => 'done')).rejects.toThrow('by message');
  });
});
