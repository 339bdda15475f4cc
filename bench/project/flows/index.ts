export { dealDigest } from './deal-digest';
export { order } from './order';
export { pageViews } from './page-views';
export { leadEdits, openOrder, plainTimer, ticketVolume } from './windows';
