import 'reflect-metadata'
import type { BeforeApplicationShutdown, DynamicModule, OnApplicationShutdown } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import type { RunningService } from './service.js'

const RUNNING = Symbol('running service')
const SHUTDOWN = Symbol('shutdown order')

export interface ServiceParts {
  start(): Promise<RunningService>
  /** First: stop intake. */
  beforeStop(): void
  /** Last, after the service has stopped: close what it stood on. */
  afterStop(): Promise<void>
}

export interface StartedModule {
  /** Runs the shutdown order once: beforeStop, the service's own stop, afterStop. */
  close(): Promise<void>
}

class ServiceModule {}

/** Nest's part: it builds the service when all it needs is there, and takes it down in order. */
export async function startModule(parts: ServiceParts): Promise<StartedModule> {
  const module: DynamicModule = {
    module: ServiceModule,
    providers: [
      { provide: RUNNING, useFactory: () => parts.start() },
      {
        provide: SHUTDOWN,
        useFactory: (running: RunningService) => new ShutdownOrder(running, parts),
        inject: [RUNNING],
      },
    ],
  }
  return NestFactory.createApplicationContext(module, { logger: false, abortOnError: false })
}

class ShutdownOrder implements BeforeApplicationShutdown, OnApplicationShutdown {
  readonly #running: RunningService
  readonly #parts: ServiceParts

  constructor(running: RunningService, parts: ServiceParts) {
    this.#running = running
    this.#parts = parts
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.#parts.beforeStop()
    await this.#running.stop()
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#parts.afterStop()
  }
}
