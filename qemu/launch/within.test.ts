import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { within } from './within';

const never = new Promise<never>(() => {});

describe('a bounded wait', () => {
  it('returns the value of the promise', async () => {
    await expect(within(Promise.resolve(1), { what: 'a number', timeoutMs: 1000 })).resolves.toBe(1);
  });

  it('names what it was waiting for when it times out', async () => {
    await expect(within(never, { what: 'Godot', timeoutMs: 5 })).rejects.toThrow(
      'Timed out after 5 ms while waiting for Godot.',
    );
  });

  it('rejects with the reason when it is aborted, before or meanwhile', async () => {
    const before = AbortSignal.abort(new Error('over'));
    await expect(within(never, { what: 'Godot', timeoutMs: 1000, signal: before })).rejects.toThrow('over');
    const abort = new AbortController();
    const waiting = within(never, { what: 'Godot', timeoutMs: 1000, signal: abort.signal });
    abort.abort(new Error('called off'));
    await expect(waiting).rejects.toThrow('called off');
  });

  it('leaves no listener with a signal that outlives it, also when several wait', async () => {
    const { signal } = new AbortController();
    const waits = [1, 2, 3].map((value) =>
      within(Promise.resolve(value), { what: 'a number', timeoutMs: 1000, signal }),
    );
    expect(getEventListeners(signal, 'abort')).toHaveLength(3);
    await Promise.all(waits);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});
