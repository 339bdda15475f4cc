export { alphaToBeta, betaToAlpha } from './sync';
