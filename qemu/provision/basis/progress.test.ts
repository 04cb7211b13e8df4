import { expect, it, vi } from 'vitest';
import { type ProgressEvent, StepProgress } from './progress';

it('during() reports its work every second until it is done, and not afterwards', async () => {
  vi.useFakeTimers();
  try {
    const events: ProgressEvent[] = [];
    const progress = new StepProgress('modules', (event) => events.push(event));
    let finish = (): void => {};
    const work = progress.during('compiling', () => new Promise<void>((resolve) => (finish = resolve)));
    await vi.advanceTimersByTimeAsync(2500);
    expect(events.map(({ what }) => what)).toEqual(['compiling', 'compiling', 'compiling']);
    finish();
    await work;
    await vi.advanceTimersByTimeAsync(5000);
    expect(events).toHaveLength(3);
  } finally {
    vi.useRealTimers();
  }
});
