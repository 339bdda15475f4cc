/** A self-signed certificate, so that no private key is kept in the repository. */
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

const der = (tag: number, ...parts: readonly Uint8Array[]): Buffer => {
  const content = Buffer.concat(parts);
  const bytes = content.length < 128 ? [] : lengthBytes(content.length);
  const head = content.length < 128 ? [content.length] : [0x80 | bytes.length, ...bytes];
  return Buffer.concat([Buffer.from([tag, ...head]), content]);
};

const lengthBytes = (length: number): number[] =>
  length === 0 ? [] : [...lengthBytes(length >> 8), length & 0xff];

const sequence = (...parts: readonly Uint8Array[]): Buffer => der(0x30, ...parts);
const SHA256_WITH_RSA = Buffer.from('300d06092a864886f70d01010b0500', 'hex');
const COMMON_NAME = Buffer.from('0603550403', 'hex');

export interface TestCertificate {
  readonly pem: string;
  readonly privateKey: KeyObject;
}

export function selfSigned(validFrom: string, validTo: string): TestCertificate {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const name = sequence(der(0x31, sequence(COMMON_NAME, der(0x0c, Buffer.from('tests')))));
  const moment = (day: string): Buffer =>
    der(0x18, Buffer.from(`${day.replaceAll('-', '')}000000Z`));
  const content = sequence(
    der(0xa0, Buffer.from([2, 1, 2])),
    der(2, Buffer.from([1])),
    SHA256_WITH_RSA,
    name,
    sequence(moment(validFrom), moment(validTo)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
  );
  const signature = sign('sha256', content, privateKey);
  const certificate = sequence(
    content,
    SHA256_WITH_RSA,
    der(3, Buffer.concat([Buffer.from([0]), signature])),
  );
  const lines = certificate.toString('base64').match(/.{1,64}/g) ?? [];
  const pem = ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
  return { pem, privateKey };
}
