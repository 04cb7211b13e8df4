export { watchdog, type WatchdogScope } from './watchdog';
