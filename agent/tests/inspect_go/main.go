// Starts goroutines in all the ways that give their creation sites different kinds of names, then
// tells what the runtime itself says about them and about addresses of its code.
package main

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

var (
	started sync.WaitGroup
	forever = make(chan int)
)

func wait() { started.Done(); <-forever }

type T struct{ n int }

func (t *T) run()    { started.Done(); <-forever; t.n++ }
func (t *T) method() { started.Add(1); go t.run() }
func (t T) value() {
	started.Add(1)
	go func() { wait(); _ = t.n }()
}

func generic[X any](x X) {
	started.Add(1)
	go func() {
		wait()
		use(x)
	}()
}

type G[X any] struct{ x X }

func (g *G[X]) start() {
	started.Add(1)
	go g.run()
}
func (g *G[X]) run() { wait(); use(g.x) }

//go:noinline
func use(any) {}

func inner() { started.Add(1); go wait() }

//go:noinline
func outer() { inner() }

func double(n int) int { return addOne(n) * 2 }
func addOne(n int) int { return n + noted(n) }

var notes = map[string]bool{}

//go:noinline
func noted(n int) int {
	pcs := make([]uintptr, 8)
	pcs = pcs[:runtime.Callers(2, pcs)]
	all := "stack " + hex(pcs[0]-1)
	frames := runtime.CallersFrames(pcs)
	for {
		frame, more := frames.Next()
		all += "\t" + frame.Function + "\t" + frame.File + "\t" + strconv.Itoa(frame.Line)
		if frame.Func != nil || !more {
			break
		}
	}
	notes[all] = true
	return n
}

//go:noinline
func inlines(n int) int {
	for i := 0; i < 3; i++ {
		n += double(n)
		n ^= double(n + 1)
	}
	return n
}

func parallel(n int) {
	var done sync.WaitGroup
	for i := 0; i < n; i++ {
		done.Add(1)
		started.Add(1)
		go func(i int) {
			defer done.Done()
			wait()
			use(i)
		}(i)
	}
}

func main() {
	t := &T{}
	t.method()
	t.value()
	generic(1)
	generic("x")
	generic([]int{1})
	(&G[int]{}).start()
	(&G[[]string]{}).start()
	outer()
	func() {
		started.Add(1)
		go func() {
			started.Add(1)
			go wait()
			wait()
		}()
	}()
	parallel(2)
	inlines(3)
	started.Wait()
	time.Sleep(time.Millisecond)

	out := make([]byte, 1<<20)
	os.Stdout.Write(out[:runtime.Stack(out, true)])
	os.Stdout.WriteString("\n====\n")

	maps, _ := os.ReadFile("/proc/self/maps")
	exe, _ := os.Readlink("/proc/self/exe")
	for _, line := range strings.Split(string(maps), "\n") {
		if !strings.HasSuffix(line, exe) {
			continue
		}
		os.Stdout.WriteString("map " + line + "\n")
		if strings.Fields(line)[1] == "r-xp" {
			functions(line)
		}
	}
	for note := range notes {
		os.Stdout.WriteString(note + "\n")
	}
}

func functions(line string) {
	ends := strings.Split(strings.Fields(line)[0], "-")
	start, _ := strconv.ParseUint(ends[0], 16, 64)
	end, _ := strconv.ParseUint(ends[1], 16, 64)
	var all strings.Builder
	for pc, n := uintptr(start), 0; pc < uintptr(end); pc += 16 {
		f := runtime.FuncForPC(pc)
		if f == nil {
			continue
		}
		ours := strings.HasPrefix(f.Name(), "main.")
		if f.Entry() == pc && ours {
			all.WriteString("entry " + hex(pc) + " " + f.Name() + "\n")
		}
		if n++; !ours && n%101 != 0 {
			continue
		}
		file, line := f.FileLine(pc)
		all.WriteString("innermost " + hex(pc) + "\t" + f.Name() + "\t" + file + "\t" + strconv.Itoa(line) + "\n")
	}
	os.Stdout.WriteString(all.String())
}

func hex(n uintptr) string { return strconv.FormatUint(uint64(n), 16) }
