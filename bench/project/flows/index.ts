export { dealDigest } from './deal-digest';
export { leadEdits, openOrder, plainTimer, ticketVolume } from './windows';
