import { BrokerError, DeliveryError } from '@millrace/client';

/**
 * Sends until the broker refuses, and returns the failed delivery with its refusal as the cause. What fails
 * otherwise, as by a time that is over on a slow machine, says nothing, and is tried again.
 */
export async function refusal(send: () => Promise<unknown>): Promise<DeliveryError> {
  for (;;) {
    try {
      await send();
    } catch (error) {
      if (!(error instanceof DeliveryError)) throw error;
      if (error.cause instanceof BrokerError) return error;
    }
  }
}
