import { declareTests } from './tests';

declareTests();
