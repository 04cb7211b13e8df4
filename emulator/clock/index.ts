export { type Alarm, CoarseAlarm } from './alarm';
export { CardClock } from './card-clock';
export { type Clock, type ScheduledTask } from './clock';
export { GuardedClock } from './guarded-clock';
export { ManualClock } from './manual-clock';
export { Process, type Wait } from './process';
export { TimerfdAlarm } from './timerfd-alarm';
export { WallClock, type WallClockOptions } from './wall-clock';
