export { type AppReport, appReport } from './app-report';
export { Rig, type RigCard, type RigOptions } from './rig';
