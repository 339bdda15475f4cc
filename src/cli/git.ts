import { execFile } from 'node:child_process';

const GIT_MS_MAX = 30_000;
const OUTPUT_BYTES_MAX = 67_108_864;

/** What a git command says, without the line break at its end; undefined when it fails or there is no git. */
export const git = (folder: string, args: readonly string[]): Promise<string | undefined> =>
  new Promise((resolve) => {
    const options = { cwd: folder, timeout: GIT_MS_MAX, maxBuffer: OUTPUT_BYTES_MAX };
    execFile('git', [...args], options, (error, stdout) => {
      resolve(error === null ? stdout.replace(/\n$/, '') : undefined);
    });
  });
