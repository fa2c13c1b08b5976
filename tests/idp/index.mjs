// A real OpenID provider (the certified oidc-provider) for the tests: accounts in memory, PKCE demanded, the groups
// claim, sign-out by the person. One argument, a JSON object: certificate and key (PEM files), client_id,
// client_secret, redirect_uris, post_logout_redirect_uris. Prints `issuer URL` once it answers; ends with its input.

import { createPrivateKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import Provider from 'oidc-provider';
import { findAccount } from './accounts.mjs';
import { interaction } from './pages.mjs';

const wanted = JSON.parse(process.argv[2]);
const seconds = 600;

/** Made as PEM and read again: Node.js 20 can lock itself up when it exports the very key it has just made. */
function signingKey(kid) {
  const { privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  return { ...createPrivateKey(privateKey).export({ format: 'jwk' }), kid, alg: 'RS256', use: 'sig' };
}

/** Everyone agrees to everything: consent is not what these tests are about. */
async function loadExistingGrant(context) {
  const { client, session, provider } = context.oidc;
  const known = session.grantIdFor(client.clientId);
  if (known) return provider.Grant.find(known);
  const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
  grant.addOIDCScope('openid profile groups');
  await grant.save();
  return grant;
}

const configuration = {
  clients: [{
    client_id: wanted.client_id,
    client_secret: wanted.client_secret,
    redirect_uris: wanted.redirect_uris,
    post_logout_redirect_uris: wanted.post_logout_redirect_uris,
    grant_types: ['authorization_code'],
    response_types: ['code'],
    id_token_signed_response_alg: 'RS256',
  }],
  jwks: { keys: [signingKey('test-1')] },
  cookies: { keys: [randomBytes(32).toString('base64url')] },
  claims: {
    openid: ['sub', 'amr', 'auth_time', 'sid'],
    profile: ['name', 'preferred_username'],
    groups: ['groups'],
  },
  conformIdTokenClaims: false,
  features: { devInteractions: { enabled: false }, rpInitiatedLogout: { enabled: true } },
  findAccount,
  interactions: { url: (_context, { uid }) => `/interaction/${uid}` },
  loadExistingGrant,
  pkce: { required: () => true },
  scopes: ['openid', 'profile', 'groups'],
  ttl: {
    AccessToken: seconds, AuthorizationCode: 60, Grant: seconds, IdToken: seconds, Interaction: seconds, Session: seconds,
  },
};

const server = createServer({ cert: readFileSync(wanted.certificate), key: readFileSync(wanted.key) });
server.listen(0, '127.0.0.1', () => {
  const issuer = `https://localhost:${server.address().port}`;
  const provider = new Provider(issuer, configuration);
  const answerOthers = provider.callback();
  server.on('request', async (request, response) => {
    try {
      if (!(await interaction(provider, request, response))) answerOthers(request, response);
    } catch (error) {
      response.writeHead(400, { 'content-type': 'text/plain' });
      response.end(`${error.name}: ${error.error_description ?? error.message}`);
    }
  });
  console.log(`issuer ${issuer}`);
});

process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
