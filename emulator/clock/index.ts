export { type Clock, type ScheduledTask } from './clock';
export { ManualClock } from './manual-clock';
export { WallClock } from './wall-clock';
