export { dealDigest } from './deal-digest';
export { issueNotice } from './issue-notice';
export { welcome } from './welcome';
