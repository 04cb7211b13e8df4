export { type Clock, type ScheduledTask } from './clock';
export { ManualClock } from './manual-clock';
export { Process, type Wait } from './process';
export { WallClock } from './wall-clock';
