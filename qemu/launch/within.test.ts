import { describe, expect, it } from 'vitest';
import { within } from './within';

const never = new Promise<never>(() => {});

describe('a bounded wait', () => {
  it('gives what was waited for', async () => {
    await expect(within(Promise.resolve(1), { what: 'a number', timeoutMs: 1000 })).resolves.toBe(1);
  });

  it('says what it waited for in vain', async () => {
    await expect(within(never, { what: 'Godot', timeoutMs: 5 })).rejects.toThrow('Waited 5 ms for Godot, in vain.');
  });

  it('ends with the reason when it is called off, before or meanwhile', async () => {
    const before = AbortSignal.abort(new Error('over'));
    await expect(within(never, { what: 'Godot', timeoutMs: 1000, signal: before })).rejects.toThrow('over');
    const abort = new AbortController();
    const waiting = within(never, { what: 'Godot', timeoutMs: 1000, signal: abort.signal });
    abort.abort(new Error('called off'));
    await expect(waiting).rejects.toThrow('called off');
  });
});
