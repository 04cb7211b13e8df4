export { limitFromEnvironment, watchdog, type WatchdogScope } from './watchdog';
