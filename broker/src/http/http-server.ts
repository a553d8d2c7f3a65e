import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerOptions, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { listenOn } from '../net/listener.js';
import type { HealthSource } from './health.js';
import type { Metrics, MetricSources } from './metrics.js';

export interface HttpServerOptions {
  /** `host:port`; port 0 takes any free one. */
  readonly listen: string;
  /** More are closed at once. */
  readonly maxConnections: number;
  readonly health: HealthSource;
  /** Undefined until the broker is ready. */
  readonly metricSources: () => MetricSources | undefined;
  readonly logger: Logger;
}

interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** What a request may take: they are a line and a few headers. Node's own bounds, in ms and bytes. */
const bounds: ServerOptions = {
  requestTimeout: 10_000,
  headersTimeout: 10_000,
  connectionsCheckingInterval: 1_000,
  keepAliveTimeout: 30_000,
  maxHeaderSize: 16 * 1024,
};

const PLAIN = 'text/plain; charset=utf-8';

const notFound: Answer = {
  status: 404,
  contentType: PLAIN,
  body: [
    'Not found. There are:',
    '  /metrics   for Prometheus',
    '  /healthz   200 while the process answers',
    '  /readyz    200 while clients are served, 503 while starting or stopping',
    '',
  ].join('\n'),
};

/** The operator's side door: metrics and health over HTTP. */
export class HttpServer {
  readonly #options: HttpServerOptions;
  readonly #server: Server;
  #metrics: Promise<Metrics> | undefined;

  constructor(options: HttpServerOptions) {
    this.#options = options;
    this.#server = createServer(bounds, (request, response) => {
      void this.#answer(request, response);
    });
    this.#server.maxConnections = options.maxConnections;
    this.#server.on('drop', () => {
      options.logger.warn('http connection dropped: there are as many as maxHttpConnections');
    });
  }

  /**
   * Begins to answer; resolves to the address, with the port that was taken.
   * @throws StartupError when the address cannot be had.
   */
  async listen(): Promise<string> {
    const address = await listenOn(this.#server, this.#options.listen, '--http');
    this.#server.on('error', (error) => {
      this.#options.logger.error({ err: error }, 'http failed');
    });
    return address;
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.close(() => {
        resolve();
      });
      this.#server.closeAllConnections();
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let answer: Answer;
    try {
      answer = await this.#route(request);
    } catch (error) {
      this.#options.logger.error({ err: error, url: request.url }, 'an http request failed');
      answer = { status: 500, contentType: PLAIN, body: 'The request failed; see the log.\n' };
    }
    response.writeHead(answer.status, {
      'content-type': answer.contentType,
      'content-length': Buffer.byteLength(answer.body),
    });
    response.end(request.method === 'HEAD' ? undefined : answer.body);
  }

  async #route(request: IncomingMessage): Promise<Answer> {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return { status: 405, contentType: PLAIN, body: 'Only GET and HEAD are served.\n' };
    }
    const path = (request.url ?? '/').split('?', 1)[0];
    switch (path) {
      case '/healthz':
        return { status: 200, contentType: PLAIN, body: 'ok\n' };
      case '/readyz': {
        const { ready, detail } = this.#options.health();
        return { status: ready ? 200 : 503, contentType: PLAIN, body: `${detail}\n` };
      }
      case '/metrics':
        return this.#scrape();
      default:
        return notFound;
    }
  }

  async #scrape(): Promise<Answer> {
    const sources = this.#options.metricSources();
    if (sources === undefined) {
      return { status: 503, contentType: PLAIN, body: 'starting\n' };
    }
    // Loaded by the first scrape: a broker that nobody scrapes starts without it.
    this.#metrics ??= import('./metrics.js').then(({ createMetrics }) => createMetrics(sources));
    const { contentType, render } = await this.#metrics;
    return { status: 200, contentType, body: await render() };
  }
}
