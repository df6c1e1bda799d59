package main

import (
	"bufio"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/bcrypt"
)

func (p *program) hashPasswordCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "hash-password",
		Short: "Read a password from standard input and print its hash for broker.users_file",
		Example: `  # a device's user; without "publish" it may only write below its own topic
  printf '%s' "$PASSWORD" | greentally hash-password`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			lines := bufio.NewScanner(cmd.InOrStdin())
			if !lines.Scan() || lines.Text() == "" {
				return errors.Join(errors.New("no password on standard input"), lines.Err())
			}
			hash, err := bcrypt.GenerateFromPassword(lines.Bytes(), bcrypt.DefaultCost)
			if err != nil {
				return fmt.Errorf("hash password: %w", err)
			}
			_, err = fmt.Fprintln(p.out, string(hash))
			return err
		},
	}
}
