from keybearer_operator.main import main

main()
