import { afterEach, describe, expect, it } from 'vitest';
import { loadNative } from '../native';
import { type Alarm, CoarseAlarm, TimerfdAlarm, WallClock } from '.';

const alarms: Alarm[] = [];
afterEach(() => {
  for (const alarm of alarms.splice(0)) alarm.close();
});

describe.each([
  ['CoarseAlarm', () => new CoarseAlarm()],
  ['TimerfdAlarm', () => new TimerfdAlarm(loadNative())],
] as const)('%s', (_, make) => {
  const alarm = (): Alarm => {
    const made = make();
    alarms.push(made);
    return made;
  };

  it.each([0, 50_000, 3_000_000])('calls back once after %d ns, not before', async (delayNs) => {
    const subject = alarm();
    const startedNs = process.hrtime.bigint();
    let calls = 0;
    const rangAtNs = await new Promise<bigint>((resolve) =>
      subject.set(delayNs, () => {
        calls++;
        resolve(process.hrtime.bigint());
      }),
    );
    expect(Number(rangAtNs - startedNs)).toBeGreaterThanOrEqual(delayNs);
    await new Promise((resolve) => setImmediate(resolve));
    expect(calls).toBe(1);
  });

  it('does not call back early when it is set late in a millisecond, in an event loop that never sleeps', async () => {
    const subject = alarm();
    while (process.hrtime.bigint() % 1_000_000n < 800_000n);
    const startedNs = process.hrtime.bigint();
    let rangAtNs: bigint | undefined;
    subject.set(3_000_000, () => (rangAtNs = process.hrtime.bigint()));
    while (rangAtNs === undefined) await new Promise((resolve) => setImmediate(resolve));
    expect(Number(rangAtNs - startedNs)).toBeGreaterThanOrEqual(3_000_000);
  });

  it('forgets what was set before when it is set anew, and all when it is cleared', async () => {
    const subject = alarm();
    const rung: string[] = [];
    subject.set(10_000, () => rung.push('first'));
    await new Promise<void>((resolve) =>
      subject.set(1_500_000, () => {
        rung.push('second');
        resolve();
      }),
    );
    subject.set(10_000, () => rung.push('third'));
    subject.clear();
    const other = alarm();
    await new Promise<void>((resolve) => other.set(3_000_000, resolve));
    expect(rung).toEqual(['second']);
  });

  it('can be closed while it is set', () => {
    const subject = make();
    subject.set(10_000, () => expect.unreachable());
    subject.close();
  });
});

it('a wall clock hands what a task throws to its owner, and goes on', async () => {
  const errors: unknown[] = [];
  const clock = new WallClock({ alarm: new TimerfdAlarm(loadNative()), onError: (error) => errors.push(error) });
  await new Promise<void>((resolve) => {
    clock.after(100_000, () => {
      throw new Error('a model error');
    });
    clock.after(200_000, resolve);
  });
  clock.close();
  expect(errors).toEqual([new Error('a model error')]);
});
