from offloader.cli.main import main

main()
