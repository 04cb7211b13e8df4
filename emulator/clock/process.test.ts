import { describe, expect, it } from 'vitest';
import { ManualClock, Process, type Wait } from '.';

describe('Process', () => {
  it('waits for delays in device time, and continues in the very call that moves time', () => {
    const clock = new ManualClock();
    const log: number[] = [];
    const process = new Process(clock);
    process.start(
      (function* (): Generator<Wait, void, void> {
        log.push(clock.now());
        yield { delayNs: 50 };
        log.push(clock.now());
      })(),
    );
    expect(log).toEqual([0]);
    clock.advance(49);
    expect(log).toEqual([0]);
    clock.advance(1);
    expect(log).toEqual([0, 50]);
    expect(process.isRunning).toBe(false);
  });

  it('waits for promises and is thrown their rejections', async () => {
    const clock = new ManualClock();
    const seen: unknown[] = [];
    await new Promise<void>((resolve) => {
      new Process(clock).start(
        (function* (): Generator<Wait, void, void> {
          try {
            yield Promise.reject(new Error('refused'));
          } catch (error) {
            seen.push((error as Error).message);
          }
          resolve();
        })(),
      );
    });
    expect(seen).toEqual(['refused']);
  });

  it('waits for a subscription to call back', () => {
    let wake = (): void => {};
    let done = false;
    new Process(new ManualClock()).start(
      (function* (): Generator<Wait, void, void> {
        yield (resume) => (wake = resume);
        done = true;
      })(),
    );
    expect(done).toBe(false);
    wake();
    expect(done).toBe(true);
  });

  it('does nothing more once it is cancelled, even if what it waited for comes', () => {
    const clock = new ManualClock();
    const process = new Process(clock);
    process.start(
      (function* (): Generator<Wait, void, void> {
        yield { delayNs: 1 };
        expect.unreachable();
      })(),
    );
    process.cancel();
    clock.advance(10);
    expect(process.isRunning).toBe(false);
  });

  it('makes the clock throw what it did not catch, to whoever runs the clock', () => {
    const clock = new ManualClock();
    const process = new Process(clock);
    process.start(
      (function* (): Generator<Wait, void, void> {
        throw new Error('a bug in the model');
      })(),
    );
    expect(process.isRunning).toBe(false);
    expect(() => clock.runDue()).toThrow('a bug in the model');
  });
});
