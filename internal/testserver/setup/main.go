// Command setup builds the servers that tests run against, so that the first test
// need not.
package main

import (
	"context"
	"fmt"
	"os"

	"greentally/internal/testserver"
)

func main() {
	for _, server := range []struct {
		name  string
		build func(context.Context) (string, error)
	}{
		{"influxd", testserver.BuildInfluxd},
		{"mailpit", testserver.BuildMailpit},
		{"nats-server", testserver.BuildNATS},
	} {
		path, err := server.build(context.Background())
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(server.name+":", path)
	}
}
