// Prints what is said in Parley's channels while it runs: go run . [CHANNEL]
package main

import (
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	parley "parley.example/parley/v1"
)

func main() {
	url := os.Getenv("PARLEY_NATS_URL")
	if url == "" {
		url = "nats://127.0.0.1:8422"
	}
	nc, err := nats.Connect(url)
	if err != nil {
		log.Fatal(err)
	}
	messages := make(chan *nats.Msg, 1000)
	if _, err := nc.ChanSubscribe("live.>", messages); err != nil {
		log.Fatal(err)
	}
	nc.Flush()
	fmt.Println("listening")
	for msg := range messages {
		name := strings.Split(msg.Subject, ".")
		if name[1] == "user" || (len(os.Args) > 1 && os.Args[1] != name[2]) {
			continue // live.user.<user> carries no events
		}
		var event parley.Event
		if err := proto.Unmarshal(msg.Data, &event); err != nil {
			log.Fatal(err)
		}
		if m := event.GetMessage(); m != nil {
			fmt.Printf("%s %s %s: %s\n", msg.Header.Get("Nats-Sequence"), name[2], m.SenderName, m.Content)
		}
	}
}
