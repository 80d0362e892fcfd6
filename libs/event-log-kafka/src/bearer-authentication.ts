import kafkajs, { type AuthenticationProviderArgs, type Authenticator } from 'kafkajs'

const SEPARATOR = '\u0001'

/**
 * SASL OAUTHBEARER (RFC 7628). kafkajs's own takes a refusal for a success: a server says what is wrong with a token in an
 * ordinary answer and fails only after the client has taken note, and kafkajs looks at neither.
 */
export function bearerAuthentication(
  token: () => Promise<string>,
): (parts: AuthenticationProviderArgs) => Authenticator {
  return ({ host, port, saslAuthenticate }) => ({
    async authenticate() {
      const bearer = await token()
      const refusal = await saslAuthenticate({
        request: message(`n,,${SEPARATOR}auth=Bearer ${bearer}${SEPARATOR}${SEPARATOR}`),
        response: text,
      })
      if (!refusal) return
      await saslAuthenticate({ request: message(SEPARATOR), response: text }).catch(() => {})
      const error = new kafkajs.KafkaJSNonRetriableError(`the token is not accepted: ${refusal}`)
      throw Object.assign(error, { name: 'KafkaJSSASLAuthenticationError', broker: `${host}:${port}` })
    },
  })
}

/** Length (int32), then the bytes. */
function message(content: string) {
  const bytes = Buffer.from(content)
  const framed = Buffer.alloc(4 + bytes.length)
  framed.writeInt32BE(bytes.length)
  framed.set(bytes, 4)
  return { encode: () => framed }
}

const text = {
  decode: (framed: Buffer) => framed.subarray(4),
  parse: (bytes: Buffer) => bytes.toString(),
}
