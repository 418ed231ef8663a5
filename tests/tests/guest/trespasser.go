// Command trespasser stands where the agent's binary would, under its AppArmor profile, and tries what
// somebody who got into the agent might. It says of each attempt what came of it.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// host is the root of the machine, seen from a root of our own.
const host = "/proc/1/root"

func main() {
	if len(os.Args) < 2 {
		// Started by itself: that it was started is all.
		return
	}
	target, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	process := fmt.Sprintf("/proc/%d", target)
	attempts := []struct {
		name string
		try  func() error
	}{
		{"read the target's executable", reads(process + "/exe")},
		{"read the target's mappings", reads(process + "/maps")},
		{"read a file of the host", reads(host + "/etc/hostname")},
		{"trace the target", func() error { return traces(target) }},
		{"connect to a socket of the host", connects(host + "/run/systemd/private")},

		{"create a file", writes("/trespassed", os.O_CREATE)},
		{"create a file on the host", writes(host+"/run/trespassed", os.O_CREATE)},
		{"change a file of the host", writes(host+"/etc/hostname", 0)},
		{"remove a file of the host", func() error { return os.Remove(host + "/run/victim") }},
		{"change a setting of the kernel", writes("/proc/sys/kernel/core_pattern", 0)},
		{"write to the target's memory", writes(process+"/mem", 0)},
		{"read the host's passwords", reads(host + "/etc/shadow")},
		{"read a token of a service account", reads(host + "/run/secrets/kubernetes.io/serviceaccount/token")},
		{"read the target's environment", reads(process + "/environ")},
		{"read the kernel's memory", opens("/proc/kcore")},
		{"read the host's disk", opens(host + "/dev/vda")},
		{"start itself", starts("/proc/self/exe")},
		{"start a program of the host", starts(host + "/payload/trespasser")},
		{"mount", func() error { return syscall.Mount("none", "/host", "tmpfs", 0, "") }},
		{"send the target a signal", func() error { return syscall.Kill(target, syscall.SIGCONT) }},
		{"change root", func() error { return syscall.Chroot("/") }},
		{"change groups", func() error { return syscall.Setgroups([]int{0}) }},
		{"open a packet socket", opensSocket(syscall.AF_PACKET, syscall.SOCK_RAW)},
		{"open a netlink socket", opensSocket(syscall.AF_NETLINK, syscall.SOCK_RAW)},
		{"unmount", func() error { return syscall.Unmount("/sys", syscall.MNT_DETACH) }},
	}
	came := make(map[string]string)
	for _, attempt := range attempts {
		came[attempt.name] = "done"
		if err := attempt.try(); err != nil {
			came[attempt.name] = word(err)
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(came); err != nil {
		panic(err)
	}
}

func word(err error) string {
	if errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EPERM) {
		return "refused"
	}
	return err.Error()
}

func opens(path string) func() error {
	return func() error {
		file, err := os.Open(path)
		if err == nil {
			file.Close()
		}
		return err
	}
}

func reads(path string) func() error {
	return func() error {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		if _, err = file.Read(make([]byte, 16)); err == io.EOF {
			return nil
		}
		return err
	}
}

// writes opens for writing, and writes nothing.
func writes(path string, flags int) func() error {
	return func() error {
		file, err := os.OpenFile(path, os.O_WRONLY|flags, 0o600)
		if err == nil {
			file.Close()
		}
		return err
	}
}

func starts(path string) func() error {
	return func() error { return exec.Command(path).Run() }
}

// traces attaches without stopping; the kernel detaches when this program ends.
func traces(target int) error {
	const seize = 0x4206
	if _, _, err := syscall.Syscall6(syscall.SYS_PTRACE, seize, uintptr(target), 0, 0, 0, 0); err != 0 {
		return err
	}
	return nil
}

func connects(path string) func() error {
	return func() error {
		connection, err := net.Dial("unix", path)
		if err == nil {
			connection.Close()
		}
		return err
	}
}

func opensSocket(family, kind int) func() error {
	return func() error {
		socket, err := syscall.Socket(family, kind, 0)
		if err == nil {
			syscall.Close(socket)
		}
		return err
	}
}
