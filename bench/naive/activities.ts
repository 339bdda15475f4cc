import { Context } from '@temporalio/activity';

export async function callReceiver(order: string): Promise<void> {
  const { workflowExecution, activityId } = Context.current().info;
  const response = await fetch(`${process.env.RECEIVER_URL}/effects`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'idempotency-key': `${workflowExecution?.workflowId}/${activityId}`,
    },
    body: JSON.stringify({ order }),
  });
  if (!response.ok) throw new Error(`the receiver answered ${response.status}`);
  await response.json();
}
