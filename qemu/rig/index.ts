export { type AppReport, appReport } from './app-report';
export { type CardFault, Rig, type RigCard, type RigOptions } from './rig';
