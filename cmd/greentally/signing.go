package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"aead.dev/minisign"
)

type signingConfig struct {
	KeyFile      string `yaml:"key_file,omitempty" env:"KEY_FILE" jsonschema_description:"Secret key of minisign. Default: made once and kept in the data folder, as minisign.key."`
	PasswordFile string `yaml:"password_file,omitempty" env:"PASSWORD_FILE" jsonschema_description:"File with the key's password, if it has one."`
}

// signingKey reads the key that evidence bundles are signed with; without one of the user's own,
// it makes one.
func (c config) signingKey() (minisign.PrivateKey, error) {
	file := c.Signing.KeyFile
	if file == "" {
		file = filepath.Join(c.DataDir, "minisign.key")
		if err := makeKey(file); err != nil {
			return minisign.PrivateKey{}, fmt.Errorf("make the key that bundles are signed with: %w", err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return minisign.PrivateKey{}, fmt.Errorf("signing.key_file: %w", err)
	}
	var key minisign.PrivateKey
	if text = []byte(strings.TrimSpace(string(text))); !minisign.IsEncrypted(text) {
		if err := key.UnmarshalText(text); err != nil {
			return key, fmt.Errorf("signing.key_file: %s: %w; make one by minisign -G", file, err)
		}
		return key, nil
	}
	password, err := secret(c.Signing.PasswordFile)
	if err != nil {
		return key, fmt.Errorf("signing.password_file: %w", err)
	}
	if key, err = minisign.DecryptKey(password, text); err != nil {
		return key, fmt.Errorf("signing.key_file: %s has a password, and it is not that in signing.password_file: %w", file, err)
	}
	return key, nil
}

// makeKey makes a key once, with its public half beside.
func makeKey(file string) error {
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	public, private, err := minisign.GenerateKey(nil)
	if err != nil {
		return err
	}
	text, err := private.MarshalText()
	if err != nil {
		return err
	}
	half, err := public.MarshalText()
	if err != nil {
		return err
	}
	if err := os.WriteFile(strings.TrimSuffix(file, ".key")+".pub", append(half, '\n'), 0o644); err != nil { //nolint:gosec // the public half is for all
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o600)
}
