// A real OpenID provider on a free port of this machine: prints {issuer}, then serves until its
// standard input ends. Client "ci" gets JWT access tokens for the audience "auditkeep" by
// client_credentials; the form parameter `resource` chooses the algorithm that signs them.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const jwk = (pair, kid, alg) => ({ ...pair.privateKey.export({ format: 'jwk' }), kid, alg, use: 'sig' });
const keys = [
  jwk(generateKeyPairSync('rsa', { modulusLength: 2048 }), 'r', 'RS256'),
  jwk(generateKeyPairSync('ec', { namedCurve: 'P-256' }), 'e', 'ES256'),
  jwk(generateKeyPairSync('ed25519'), 'd', 'EdDSA'),
];

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    jwks: { keys },
    clients: ['ci', 'other'].map((name) => ({
      client_id: name,
      client_secret: 'not-a-secret',
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    })),
    enabledJWA: { idTokenSigningAlgValues: ['RS256', 'ES256', 'EdDSA'] },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => 'urn:auditkeep:RS256',
        getResourceServerInfo: (_, resource) => ({
          scope: 'read',
          audience: 'auditkeep',
          accessTokenFormat: 'jwt',
          accessTokenTTL: 300,
          jwt: { sign: { alg: resource.split(':').at(-1) } },
        }),
      },
    },
  });
  server.on('request', provider.callback());
  process.stdout.write(`${JSON.stringify({ issuer })}\n`);
});
process.stdin.on('end', () => process.exit(0)).resume();
