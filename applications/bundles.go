package applications

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/nats-io/nats.go/jetstream"

	"greentally"
)

// Bundles keeps evidence bundles for good, each under its hash.
type Bundles struct{ bucket jetstream.ObjectStore }

const bucketName = "GREENTALLY_BUNDLES"

// OpenBundles opens the object store, and makes it if it is not there.
func OpenBundles(ctx context.Context, js jetstream.JetStream, replicas int) (*Bundles, error) {
	bucket, err := js.CreateOrUpdateObjectStore(ctx, jetstream.ObjectStoreConfig{
		Bucket: bucketName, Description: "Evidence bundles", Storage: jetstream.FileStorage, Replicas: max(1, replicas),
	})
	if err != nil {
		return nil, fmt.Errorf("object store %s: %w", bucketName, err)
	}
	return &Bundles{bucket}, nil
}

// Keep keeps a bundle, and returns its SHA-256 in hexadecimal when it is on disk.
func (b *Bundles) Keep(ctx context.Context, bundle []byte) (string, error) {
	sum := sha256.Sum256(bundle)
	name := hex.EncodeToString(sum[:])
	if _, err := b.Get(ctx, name); err == nil {
		return name, nil
	}
	if _, err := b.bucket.Put(ctx, jetstream.ObjectMeta{Name: name}, bytes.NewReader(bundle)); err != nil {
		return "", fmt.Errorf("keep bundle %s: %w", name, err)
	}
	return name, nil
}

// Get returns the bundle with the hash. The error wraps [fs.ErrNotExist] if it is not there.
func (b *Bundles) Get(ctx context.Context, name string) ([]byte, error) {
	object, err := b.bucket.Get(ctx, name)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return nil, greentally.Missingf("没有证据包 %s", "there is no bundle %s", name)
	}
	if err != nil {
		return nil, fmt.Errorf("bundle %s: %w", name, err)
	}
	data, err := io.ReadAll(object)
	if err = errors.Join(err, object.Close()); err != nil {
		return nil, fmt.Errorf("bundle %s: %w", name, err)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != name {
		return nil, fmt.Errorf("bundle %s is not what was kept", name)
	}
	return data, nil
}
