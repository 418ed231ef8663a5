// Storm creates and ends goroutines from eight goroutines as fast as it can, while GOMAXPROCS
// changes back and forth, until a line comes on standard input. Then it comes to rest and prints how
// many goroutines it started.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

func main() {
	var started uint64
	var stop int32
	var storms sync.WaitGroup
	for i := 0; i < 8; i++ {
		storms.Add(1)
		started++
		go func(depth int) {
			defer storms.Done()
			var own uint64
			for atomic.LoadInt32(&stop) == 0 {
				var batch sync.WaitGroup
				wait := make(chan struct{})
				for j := 0; j < 50*depth; j++ {
					own += 2
					batch.Add(2)
					go batch.Done()
					go func() { <-wait; batch.Done() }()
				}
				close(wait)
				batch.Wait()
			}
			atomic.AddUint64(&started, own)
		}(i + 1)
	}
	storms.Add(1)
	started++
	go func() {
		defer storms.Done()
		for i := 0; atomic.LoadInt32(&stop) == 0; i++ {
			runtime.GOMAXPROCS(8 >> (i % 4))
			time.Sleep(3 * time.Millisecond)
		}
		runtime.GOMAXPROCS(8)
	}()
	fmt.Println("storm")
	lines := bufio.NewScanner(os.Stdin)
	lines.Scan()
	atomic.StoreInt32(&stop, 1)
	storms.Wait()
	time.Sleep(100 * time.Millisecond)
	fmt.Println(started, runtime.NumGoroutine())
	lines.Scan()
}
