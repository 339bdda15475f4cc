import { githubSource } from 'tidegate/ingress';

/** Set TIDEGATE_SOURCE_GITHUB_SECRET to the webhook's secret; GitHub posts to /hooks/github. */
export const sources = [githubSource];
