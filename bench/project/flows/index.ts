export { dealDigest } from './deal-digest';
export { leadEdits, openOrder, ticketVolume } from './windows';
