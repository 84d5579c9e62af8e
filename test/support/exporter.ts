// An HTTP server that answers scrapes as a test wants it to, well or badly.
import { createServer, type IncomingMessage, type Server as HttpServer, type ServerResponse } from 'node:http'

export type Handler = (request: IncomingMessage, response: ServerResponse) => void

export class Exporter {
  readonly #server: HttpServer
  readonly address: string
  scrapes = 0

  private constructor(server: HttpServer, address: string) {
    this.#server = server
    this.address = address
  }

  /** The handler answers every request. */
  static async start(handler: Handler, port = 0): Promise<Exporter> {
    const started: { exporter?: Exporter } = {}
    const server = createServer((request, response) => {
      if (started.exporter !== undefined) started.exporter.scrapes++
      handler(request, response)
    })
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve))
    const { port: bound } = server.address() as { port: number }
    started.exporter = new Exporter(server, `127.0.0.1:${bound}`)
    return started.exporter
  }

  /** Answers every scrape with this text. */
  static text(body: () => string, contentType = 'text/plain; version=0.0.4; charset=utf-8'): Promise<Exporter> {
    return Exporter.start((_, response) => response.setHeader('Content-Type', contentType).end(body()))
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
