// Strategy 3: a message is in a durable queue before it is acknowledged, and goes to the room from there. node ws, RabbitMQ.
//   PORT=… AMQP_URL=amqp://… [AMQP_NODELAY=1] node strategy3.mjs
import amqplib from "amqplib";
import { broadcast, listen } from "./hub.mjs";

const EXCHANGE = "chat";
const QUEUE = "chat.server-1"; // each server has its own and gets everything

const connection = await amqplib.connect(process.env.AMQP_URL, { noDelay: process.env.AMQP_NODELAY === "1" });
connection.on("error", (error) => {
  console.error(error);
  process.exit(1);
});

const consumer = await connection.createChannel();
await consumer.assertExchange(EXCHANGE, "fanout", { durable: true });
await consumer.assertQueue(QUEUE, { durable: true });
await consumer.bindQueue(QUEUE, EXCHANGE, "");
await consumer.consume(QUEUE, (delivery) => {
  broadcast(JSON.parse(delivery.content));
  consumer.ack(delivery);
});

const publisher = await connection.createConfirmChannel();

function store(message) {
  const createdAt = new Date().toISOString();
  return new Promise((resolve, reject) => {
    publisher.publish(EXCHANGE, "", Buffer.from(JSON.stringify({ ...message, createdAt })), { persistent: true }, (error) =>
      error ? reject(error) : resolve({ createdAt }));
  });
}

listen(Number(process.env.PORT), store);
