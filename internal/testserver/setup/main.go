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
	path, err := testserver.BuildInfluxd(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("influxd:", path)
}
