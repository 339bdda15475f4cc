export { hello } from './hello';
export { orderDigest } from './order-digest';
