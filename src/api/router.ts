// Routes with parameters, and everything that is no route, by Fastify. It is loaded when the first such request comes: most requests are found by their
// path alone, and a start does not wait for it.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { fastify } from 'fastify'
import { messageOf } from '../base/errors.ts'
import { failure, plainError, type Answer } from './envelope.ts'
import { respond } from './responder.ts'

/** Serves one request; `parameters` are those of the path. */
export type Serve = (raw: IncomingMessage, response: ServerResponse, parameters: Record<string, string>, ip: string) => void
export type RoutedPath = Readonly<{ methods: readonly string[]; path: string; serve: Serve }>
export type Router = Readonly<{ route: (raw: IncomingMessage, response: ServerResponse) => void; close: () => Promise<void> }>

/** @param apiPath what paths of the API begin with. @param missing the answer where no route fits. */
export async function buildRouter(
  paths: readonly RoutedPath[],
  apiPath: string,
  missing: (raw: IncomingMessage) => Answer,
): Promise<Router> {
  const send = (raw: IncomingMessage, response: ServerResponse, answer: Answer): void =>
    void respond(raw, response, answer, false).catch(() => response.destroy())
  const app = fastify({
    logger: false,
    exposeHeadRoutes: false,
    bodyLimit: Number.MAX_SAFE_INTEGER,
    forceCloseConnections: false,
    // a path that cannot be decoded
    frameworkErrors: (thrown, request, reply) => {
      const raw = (request as unknown as { raw: IncomingMessage }).raw
      const response = (reply as unknown as { raw: ServerResponse }).raw
      ;(reply as unknown as { hijack: () => void }).hijack()
      const inApi = (raw.url ?? '').startsWith(apiPath)
      send(raw, response, inApi ? failure(400, 'bad_data', messageOf(thrown)) : plainError(400, messageOf(thrown)))
    },
    routerOptions: {
      maxParamLength: 64 << 10,
      querystringParser: () => ({}),
    },
  })
  // bodies are read by the routes, from the socket
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
  for (const { methods, path, serve } of paths) {
    app.route({
      method: [...methods],
      url: path,
      handler: (request, reply) => {
        reply.hijack()
        serve(request.raw as IncomingMessage, reply.raw as ServerResponse, request.params as Record<string, string>, request.ip)
      },
    })
  }
  app.setNotFoundHandler((request, reply) => {
    reply.hijack()
    const raw = request.raw as IncomingMessage
    send(raw, reply.raw as ServerResponse, missing(raw))
  })
  app.setErrorHandler((thrown, request, reply) => {
    reply.hijack()
    const status = (thrown as { statusCode?: number }).statusCode ?? 500
    send(request.raw as IncomingMessage, reply.raw as ServerResponse, plainError(status, messageOf(thrown)))
  })
  await app.ready()
  return { route: (raw, response) => app.routing(raw, response), close: () => app.close() }
}
