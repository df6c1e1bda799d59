package access

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/text/secure/precis"
)

// What passwords are. bcrypt takes no more bytes.
const (
	minPassword = 12 // characters
	maxPassword = 72 // bytes
	defaultCost = 12 // a quarter of a second
)

// obvious are passwords that are long enough, and yet the first that anyone tries; in small
// letters.
func obvious() []string {
	return []string{
		"123456789012", "1234567890123", "12345678901234", "123123123123", "123456123456", "111222333444", "112233445566", "987654321098",
		"qwertyuiopas", "qwertyuiop123", "qwertyuiop[]", "qwerty123456", "1qaz2wsx3edc", "1q2w3e4r5t6y", "qazwsxedcrfv", "asdfghjkl123",
		"abcdefghijkl", "abcd12345678", "abc123456789", "a1234567890b", "password1234", "password12345", "passwordpassword", "passw0rd1234",
		"p@ssw0rd1234", "letmein12345", "welcome12345", "iloveyou1234", "woaini520520", "woaini1314520", "5201314520131", "administrator",
		"administrator1", "admin1234567", "admin123456789", "adminadminadmin", "root12345678", "changeme1234", "changemechangeme", "greentally123",
		"greentally1234", "greentallygreentally", "correcthorsebatterystaple",
	}
}

// plain returns a password as it is hashed, by RFC 8265: the same characters are the same
// bytes, whichever keyboard they come from.
func plain(password string) (string, error) {
	if len(password) > 10*maxPassword {
		return "", invalid("密码最多 %d 个字节", "a password has at most %d bytes", maxPassword)
	}
	p, err := precis.OpaqueString.String(password)
	if err != nil || !utf8.ValidString(password) {
		return "", invalid("密码只能由可打印的字符组成", "a password is of printable characters")
	}
	if len(p) > maxPassword {
		return "", invalid("密码最多 %d 个字节（汉字各占 3 个），这个有 %d 个", "a password has at most %d bytes; this one has %d", maxPassword, len(p))
	}
	return p, nil
}

// newPassword returns a password as it is hashed, or what is wrong with it as that of a user.
func newPassword(name, password string) (string, error) {
	p, err := plain(password)
	if err != nil {
		return "", err
	}
	small := strings.ToLower(p)
	different := map[rune]bool{}
	for _, r := range small {
		different[r] = true
	}
	switch {
	case utf8.RuneCountInString(p) < minPassword:
		return "", invalid("密码至少 %d 个字符，几个词连起来就很好", "a password has at least %d characters; a few words do", minPassword)
	case len(different) < 5 || slices.Contains(obvious(), small):
		return "", invalid("这个密码太常见，别人会最先试它", "this password is among the first that anyone tries")
	case utf8.RuneCountInString(name) >= 4 && strings.Contains(small, name) && utf8.RuneCountInString(small)-utf8.RuneCountInString(name) < 8:
		return "", invalid("这个密码只比用户名多几个字符", "this password is little more than the user's name")
	}
	return p, nil
}

// decoy is the hash of nothing at a cost, for names that nobody has: to find that a password is
// not its takes as long as with any other.
func decoy(cost int) string {
	return fmt.Sprintf("$2a$%02d$......................oooooooooooooooooooooooooooooo.", cost)
}

// matches reports whether a hash is that of a password. Half of the processors at most are kept
// busy so; others wait for their turn.
func (u *Users) matches(ctx context.Context, hash, password string) (bool, error) {
	select {
	case u.hashing <- struct{}{}:
	case <-ctx.Done():
		return false, fmt.Errorf("check a password: %w", ctx.Err())
	}
	defer func() { <-u.hashing }()
	return bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil, nil
}

func (u *Users) hash(ctx context.Context, name, password string) (string, error) {
	p, err := newPassword(name, password)
	if err != nil {
		return "", err
	}
	select {
	case u.hashing <- struct{}{}:
	case <-ctx.Done():
		return "", fmt.Errorf("hash a password: %w", ctx.Err())
	}
	defer func() { <-u.hashing }()
	h, err := bcrypt.GenerateFromPassword([]byte(p), u.cost)
	if err != nil {
		return "", fmt.Errorf("hash a password: %w", err)
	}
	return string(h), nil
}
