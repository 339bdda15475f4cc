export { dealDigest } from './deal-digest';
